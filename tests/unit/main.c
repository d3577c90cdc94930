/* main.c — runs every suite of unit tests, or those that are named; the exit status says whether all passed. */
#include <CUnit/Basic.h>

#define SUITES(X) \
    X(support) \
    X(ir_core) \
    X(ir_text) \
    X(interp) \
    X(cost) \
    X(cnet) \
    X(formats) \
    X(data) \
    X(passes) \
    X(conditional) \
    X(memorize_numbers) \
    X(backend) \
    X(skip) \
    X(batch) \
    X(tree) \
    X(proof) \
    X(leaves) \
    X(search) \
    X(piecewise) \
    X(split_chain) \
    X(split_bounds) \
    X(split_emit) \
    X(split_error) \
    X(split_tree)
#define DECLARE(name) void suite_##name(void);
SUITES(DECLARE)

int main(int argc, char **argv)
{
    if (CU_initialize_registry() != CUE_SUCCESS)
        return 1;
#define REGISTER(name) suite_##name();
    SUITES(REGISTER)
    CU_basic_set_mode(CU_BRM_NORMAL);
    if (argc < 2)
        CU_basic_run_tests();
    for (int i = 1; i < argc; i++)
        CU_basic_run_suite(CU_get_suite(argv[i]));
    unsigned failures = CU_get_number_of_failures() + CU_get_number_of_suites_failed();
    CU_cleanup_registry();
    return failures != 0;
}
