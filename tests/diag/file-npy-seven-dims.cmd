"$CNETC" run files/two.cnet --input files/seven-dims.npy
