"$CNETC" run files/two.cnet --input files/overflow.npy
