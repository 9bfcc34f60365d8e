"""Tables: files and data frames read into numbers, by a schema that reads later files the same way."""
