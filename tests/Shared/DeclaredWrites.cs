using System.Reflection;
using Fossil.CompilerServices;

namespace Fossil.TestData;

/// <summary>Every kernel of the product that a test project has, hand-written or generated.</summary>
internal static class DeclaredWrites
{
    /// <summary>
    /// The kernels in the product's assemblies beside the tests, and the generated ones of the tests' own. All must say what they write, or the check that no two rows
    /// write the same memory would not see it.
    /// </summary>
    /// <returns>The names of all, and of those that declare nothing.</returns>
    public static (IReadOnlyList<string> Kernels, IReadOnlyList<string> Undeclared) Find(Assembly tests)
    {
        var kernels = Directory.GetFiles(AppContext.BaseDirectory, "Fossil*.dll")
            .Select(Assembly.LoadFrom)
            .SelectMany(assembly => assembly.GetTypes())
            .Where(type => !type.IsInterface && type.IsAssignableTo(typeof(IRowKernel)) && (type.Assembly != tests || type.FullName!.StartsWith("Fossil.Generated.", StringComparison.Ordinal)))
            .ToList();
        return ([.. kernels.Select(kernel => kernel.FullName!)], [.. kernels.Where(kernel => !Declares(kernel)).Select(kernel => kernel.FullName!)]);
    }

    private static bool Declares(Type kernel) =>
        kernel.GetMethod(nameof(IRowKernel.DeclareWrites), BindingFlags.Public | BindingFlags.Instance | BindingFlags.DeclaredOnly, [typeof(long), typeof(KernelWrites)]) is not null;
}
