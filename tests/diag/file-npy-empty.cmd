"$CNETC" run files/two.cnet --input files/empty.npy
