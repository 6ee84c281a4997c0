"""Getting data sets ready: download, unpack, verify, extract, describe."""
