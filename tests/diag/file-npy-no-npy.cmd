"$CNETC" run files/two.cnet --input files/no-npy.npy
