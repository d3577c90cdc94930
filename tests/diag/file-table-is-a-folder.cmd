"$CNETC" run files/two.cnet --input files/folder.npy
