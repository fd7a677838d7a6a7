"""RefCOCO, RefCOCO+ and RefCOCOg: REFER's files and rows of the hubs."""
