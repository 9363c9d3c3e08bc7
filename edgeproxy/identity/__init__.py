"""Who somebody is: keys, passwords, signed links, certificates, signatures, and what a service says of them."""
