"$CNETC" files/two.cnet --profile=files/columns.npy --emit=ir
