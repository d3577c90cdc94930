"$CNETC" --emit=ir files/lying-npz.cnet
