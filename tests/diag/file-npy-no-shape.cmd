"$CNETC" run files/two.cnet --input files/no-shape.npy
