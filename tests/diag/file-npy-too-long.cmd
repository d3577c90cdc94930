"$CNETC" run files/two.cnet --input files/too-long.npy
