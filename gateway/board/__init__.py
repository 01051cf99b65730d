"""What is done with a board over its cable: flashing, provisioning, finding out what is wrong."""
