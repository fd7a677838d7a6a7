"""The data of anomaly detection in three stages: parts, marked scenes, bare scenes."""
