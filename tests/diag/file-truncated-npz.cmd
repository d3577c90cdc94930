"$CNETC" --emit=ir files/truncated-npz.cnet
