"$CNETC" --emit=ir files/bomb-npz.cnet
