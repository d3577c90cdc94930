"$CNETC" --emit=ir files/empty-npz.cnet
