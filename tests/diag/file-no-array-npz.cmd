"$CNETC" --emit=ir files/no-array-npz.cnet
