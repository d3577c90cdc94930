"$CNETC" run files/two.cnet --input files/objects.npy
