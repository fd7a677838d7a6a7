"""`groundswift watch`: frames of a camera or video, asked of a served model; verdicts and alarms. Needs neither swift nor torch."""
