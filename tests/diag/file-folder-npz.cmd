"$CNETC" --emit=ir files/folder-npz.cnet
