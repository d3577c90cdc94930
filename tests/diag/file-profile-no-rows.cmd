"$CNETC" files/two.cnet --profile=files/no-rows.npy --emit=ir
