"""Where an address is, from MMDB files: any layout read as one Place, files taken anew when they change."""
