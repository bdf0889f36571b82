"""Results as FHIR R4 resources: pure, plain dictionaries. The tests hold them to the resources' schemas.

Not built with a FHIR library: the gateway would pay 0.2 s and 20 MB at each start for what a few dictionaries do.
"""
