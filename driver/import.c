/* import.c — `cnetc import`: a model as readable .cnet text and a weights file beside it.
 *
 * In: a model file. Out: the same function in the language, to read, change and compile.
 */
#include "driver.h"

bool verb_import(Session *s)
{
    const Options *o = s->options;
    s->module = fe_load(s->arena, s->diags, o->source, &o->load, &s->depends);
    if (!s->module)
        return false;
    if (s->module->networks.len != 1) {
        diag_error(s->diags, NOWHERE, "import takes a model of one network; %s has %zu", o->source, s->module->networks.len);
        return false;
    }
    const char *path = session_output(s, ".cnet");
    return session_may_write(s, path) && fe_export_cnet(s->module->networks.at[0], s->diags, path);
}
