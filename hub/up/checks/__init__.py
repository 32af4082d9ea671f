"""What `perijove doctor` looks at, one room a file. Every check only reads."""
