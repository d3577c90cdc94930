"$CNETC" -Werror files/repeats.cnet
