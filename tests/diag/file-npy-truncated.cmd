"$CNETC" run files/two.cnet --input files/truncated.npy
