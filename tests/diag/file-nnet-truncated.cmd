"$CNETC" --emit=ir files/truncated.nnet
