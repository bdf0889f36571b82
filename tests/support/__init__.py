"""What tests of several folders share; not tests themselves."""
