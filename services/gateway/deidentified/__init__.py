"""The copy of a DICOM upload that is stored in place of it, where the house keeps no patient's identity.

`attributes` says what becomes of each attribute, `uids` under which UID something goes on, `rewriter` makes the copy
while the upload comes in (docs/decisions/0008-de-identified-at-the-door.md).
"""
