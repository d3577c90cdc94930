"$CNETC" run files/two.cnet --input files/nothing-here.npy
