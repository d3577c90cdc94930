# A network whose label is made by a search and returned 150 layers later, by another function of the chain that long bodies are.
BEGIN {
    print "format_version 1\nconst @k : i32[5] = [1, 2, 3, 5, 8]\nconst @y : stack i32[6] = [9, 8, 7, 6, 5, 4]"
    print "const @W : i32[2,2] = [[1, -1], [2, 1]]\nnetwork @n(%x: i32, %v0: i32[2]) -> (y: i32, z: i32[2]) {"
    print "    %s, %d = search @k, %x : idx[6], i32"
    for (i = 0; i < 150; i++)
        printf "    %%h%d = affine %%v%d, @W : i32[2]\n    %%v%d = relu %%h%d : i32[2]\n", i, i, i + 1, i
    print "    %y = row @y[%s] : i32\n    return %y, %v150\n}"
}
