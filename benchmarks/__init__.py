"""What is measured, each as a ratio within one run; started by make targets, never by the tests."""
