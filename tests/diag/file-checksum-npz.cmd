"$CNETC" --emit=ir files/checksum-npz.cnet
