"""The sections of the report, one module each: plain figures in, words and charts out."""
