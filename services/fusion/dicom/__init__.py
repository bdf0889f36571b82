"""What a job over a DICOM image adds to the study of that image, and how it gets to the house's PACS.

Beside the job's path and never on it: a result is there before any of this is made. Pure functions make the objects
from the header that was kept, the job and its preview; `exporter.py` is the outside world.
"""
