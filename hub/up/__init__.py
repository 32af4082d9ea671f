"""`perijove up` and what an operator needs beside it: status, doctor, backup, restore."""
