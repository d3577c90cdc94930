/* weights.c — named tensors, by the suffix of the file that holds them.
 *
 * In: a path. Out: its tensors, borrowed from the file's mapping where the format allows. The readers themselves know
 * bytes only; here is where a path becomes bytes and a suffix becomes a format.
 */
#include "formats.h"

#include <string.h>

static bool read_one_array(Arena *arena, Diags *diags, uint32_t source, Bytes bytes, TensorFile *out)
{
    out->tensor = NEW(arena, Tensor);
    out->n = 1;
    return fe_read_npy(arena, diags, source, bytes, out->tensor);
}

bool fe_read_tensors(Arena *arena, Diags *diags, Span span, const char *path, TensorFile *out)
{
    bool npy = str_ends(path, ".npy"), npz = str_ends(path, ".npz"), safetensors = str_ends(path, ".safetensors");
    bool onnx = str_ends(path, ".onnx") || str_ends(path, ".onnx.gz");
    *out = (TensorFile){.path = path};
    if (!npy && !npz && !safetensors && !onnx) {
        diag_error(diags, span, "`%s` is no weights file by its name; known are .npy .npz .safetensors .onnx .onnx.gz", name_shown(arena, path));
        return false;
    }
    Bytes bytes;
    if (!file_read(arena, diags, span, path, &bytes))
        return false;
    uint32_t source = diag_source(diags, path, NULL, 0);
    if (bytes.len == 0) {
        diag_error(diags, diag_whole(source), "the file is empty");
        return false;
    }
    return npy   ? read_one_array(arena, diags, source, bytes, out)
           : npz ? fe_read_npz(arena, diags, source, bytes, out)
           : onnx ? onnx_file_tensors(arena, diags, source, path, bytes, out)
                  : fe_read_safetensors(arena, diags, source, bytes, out);
}

const Tensor *fe_find_tensor(const TensorFile *file, const char *name)
{
    for (size_t i = 0; i < file->n; i++)
        if (strcmp(file->tensor[i].name, name) == 0)
            return &file->tensor[i];
    return NULL;
}
