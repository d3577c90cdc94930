/* main.c — runs every suite of unit tests; the exit status says whether all passed. */
#include <CUnit/Basic.h>

#define SUITES(X) X(support) X(ir_core) X(ir_text) X(interp) X(cost) X(cnet) X(formats) X(passes) X(backend) X(skip) X(batch) X(conditional)
#define DECLARE(name) void suite_##name(void);
SUITES(DECLARE)

int main(void)
{
    if (CU_initialize_registry() != CUE_SUCCESS)
        return 1;
#define REGISTER(name) suite_##name();
    SUITES(REGISTER)
    CU_basic_set_mode(CU_BRM_NORMAL);
    CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures() + CU_get_number_of_suites_failed();
    CU_cleanup_registry();
    return failures != 0;
}
