# The declarations between the guards of runtime/cnet.h, as C string literals. (A file, since meson turns backslashes on
# command lines into slashes.)
/^#ifndef CNET_TYPES_DECLARED/,/^#endif .* CNET_TYPES_DECLARED/ {
    s/[\\"]/\\&/g
    s/^/"/
    s/$/\\n"/
    p
}
