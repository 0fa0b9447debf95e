"""The inner loop: every response that calls for it becomes a promise that somebody keeps."""
