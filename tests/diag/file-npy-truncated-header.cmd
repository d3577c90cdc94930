"$CNETC" run files/two.cnet --input files/truncated-header.npy
