/* Usual cases of what the generated C code does often, for setup.py to insert below its headers.

   The C code calls a function with a variable number of arguments to read those of a method, and one
   of libpython to read a float. Neither can be inlined; their usual cases as macros make an update
   faster by a sixth. MSVC expands __VA_ARGS__ in another way.

   Since CPython 3.12 Py_INCREF writes half of the reference count and Py_DECREF reads all of it,
   which the processor cannot forward from the half-written one: a histogram's update waits 3 ns for
   its bounds. They are never immortal (PEP 683), so a plain increment does the same.

   `labels()` takes `*args, **kwargs`: without keywords it reuses one empty dict for as long as no
   callee keeps or fills it, which saves a fifth of the time.

   A timer reads its clock twice. Read from C, `time.perf_counter_ns` needs neither a call through
   the interpreter's protocol nor an int object, which saves half of the time of a read. Its C
   function is compared: a clock of the program, or a patch, is called.
*/

#ifdef __GNUC__
#define FIRST(first, ...) (first)
#define CPyArg_ParseStackAndKeywordsNoArgs(args, nargs, kwnames, ...) \
    (likely((nargs) == 0 && (kwnames) == NULL) || \
     CPyArg_ParseStackAndKeywordsNoArgs(args, nargs, kwnames, __VA_ARGS__))
#define CPyArg_ParseStackAndKeywordsOneArg(args, nargs, kwnames, parser, value) \
    (likely((nargs) == 1 && (kwnames) == NULL) \
         ? (*(value) = *(args), 1) \
         : CPyArg_ParseStackAndKeywordsOneArg(args, nargs, kwnames, parser, value))
#define PARSE(least, args, nargs, kwnames, parser, ...) \
    (likely((nargs) <= 1 && (nargs) >= (least) && (kwnames) == NULL) \
         ? ((nargs) == 0 || (*FIRST(__VA_ARGS__, 0) = *(args), 1)) \
         : CPyArg_ParseStackAndKeywordsSimple(args, nargs, kwnames, parser, __VA_ARGS__))
#define PARSE_ANY(args, nargs, kwnames, parser, values, named) \
    ((kwnames) == NULL \
         ? parse_positional(args, nargs, values, named) \
         : CPyArg_ParseStackAndKeywords(args, nargs, kwnames, parser, values, named))
#define PyFloat_AsDouble(value) \
    (likely(PyFloat_CheckExact(value)) ? PyFloat_AS_DOUBLE(value) : PyFloat_AsDouble(value))
#ifdef VEC_FLOAT_INCREF
#undef VEC_FLOAT_INCREF
#define VEC_FLOAT_INCREF(vec) \
    do { if ((vec).items) ((PyObject *)VEC_FLOAT_BUF(vec))->ob_refcnt++; } while (0)
#endif
#define CALL_CLOCK(result, function, ...) \
    if (is_perf_counter_ns(function)) { \
        result = perf_counter_ns(); \
        CPy_DECREF(function); \
    } else { \
        __VA_ARGS__ \
    }

static int parse_positional(PyObject *const *args, Py_ssize_t nargs, PyObject **values,
                            PyObject **named)
{
    static PyObject *empty;
    if (unlikely(empty == NULL || Py_REFCNT(empty) > 1 || PyDict_GET_SIZE(empty) > 0)) {
        PyObject *dict = PyDict_New();
        if (dict == NULL)
            return 0;
        Py_XSETREF(empty, dict);
    }
    PyObject *tuple = PyTuple_New(nargs);
    if (tuple == NULL)
        return 0;
    for (Py_ssize_t i = 0; i < nargs; i++)
        PyTuple_SET_ITEM(tuple, i, Py_NewRef(args[i]));
    *values = tuple;
    *named = Py_NewRef(empty);
    return 1;
}

static int is_perf_counter_ns(PyObject *function)
{
    static PyCFunction known;
    if (!PyCFunction_CheckExact(function))
        return 0;
    PyMethodDef *method = ((PyCFunctionObject *)function)->m_ml;
    PyObject *module = ((PyCFunctionObject *)function)->m_module;
    if (unlikely(known == NULL) && strcmp(method->ml_name, "perf_counter_ns") == 0 &&
        module != NULL && PyUnicode_Check(module) &&
        PyUnicode_CompareWithASCIIString(module, "time") == 0)
        known = method->ml_meth;
    return known != NULL && method->ml_meth == known;
}

static CPyTagged perf_counter_ns(void)
{
#if PY_VERSION_HEX >= 0x030D0000
    PyTime_t time;
    (void)PyTime_PerfCounterRaw(&time);
    return (CPyTagged)time << 1;
#else
    return (CPyTagged)_PyTime_GetPerfCounter() << 1;
#endif
}
#else
#define PARSE(least, ...) CPyArg_ParseStackAndKeywordsSimple(__VA_ARGS__)
#define PARSE_ANY CPyArg_ParseStackAndKeywords
#define CALL_CLOCK(result, function, ...) __VA_ARGS__
#endif
