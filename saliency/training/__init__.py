"""The loop that trains learners, and all it keeps."""
