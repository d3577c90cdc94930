"$CNETC" run files/two.cnet --input files/negative.npy
