/* dedup_constants.c — store constants that are equal once.
 *
 *      @W: f32[2,2] = [1, 2, 3, 4]                   @W: f32[2,2] = [1, 2, 3, 4]
 *      @V: f32[2,2] = [1, 2, 3, 4]           =>
 *      %a = affine %x, @W                            %a = affine %x, @W
 *      %b = affine %x, @V                            %b = affine %x, @W
 *
 * Same bits, literally: constants are one only if their types and bytes are equal, so −0.0 and +0.0 stay apart, and so do NaNs of
 * different payload. Bytes are saved, never operations.
 *
 * Ends: one pass over the pool. The pool belongs to the module, so the work is done with the module's last network.
 */
#include "pass_util.h"

bool pass_dedup_constants(Network *net, PassContext *ctx)
{
    (void)ctx;
    Module *m = net->module;
    if (m->networks.at[m->networks.len - 1] != net)
        return false;
    const_dedup(m);
    return true;
}
