using System.Reflection;
using System.Reflection.Emit;
using TorchSharp;

namespace Fossil.Models.Tests.Concurrency;

/// <summary>
/// No code of the library makes a Scalar that the garbage collector may free while libtorch still reads it, as <c>x * 2.0</c>, <c>x.add_(y)</c> and <c>a + b</c> do: another thread's
/// allocations decide when that is, so that such a fault shows once in a million calls.
/// </summary>
public sealed class TemporaryScalarTests
{
    private const BindingFlags Everything = BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Static | BindingFlags.Instance | BindingFlags.DeclaredOnly;
    private static readonly Dictionary<short, OpCode> OpCodesByValue = typeof(OpCodes).GetFields().Select(field => (OpCode)field.GetValue(null)!).ToDictionary(code => code.Value);

    public static TheoryData<Assembly> Assemblies => [typeof(AdaptedModel).Assembly, typeof(LlamaForCausalLM).Assembly];

    [Theory, MemberData(nameof(Assemblies))]
    public void No_call_makes_one(Assembly assembly)
    {
        var makers = MakersInTorchSharp();
        Assert.Contains(makers, method => method.Name == "op_Addition");
        var calls =
            from method in Methods(assembly)
            where method.DeclaringType!.FullName != "Fossil.Concurrency.Scalars"
            from callee in Callees(method).Distinct()
            where Makes(callee) || makers.Contains(callee)
            select $"{method.DeclaringType!.FullName}.{method.Name} calls {callee.DeclaringType!.Name}.{callee.Name}({string.Join(", ", callee.GetParameters().Select(parameter => parameter.ParameterType.Name))}): use Scalars.Of(…) or Scalars.One";
        Assert.True(!calls.Any(), string.Join("\n", calls));
    }

    [Fact]
    public void Such_a_call_is_found() => Assert.Contains(Callees(((Func<torch.Tensor, torch.Tensor>)(x => x * 2.5)).Method), callee => MakersInTorchSharp().Contains(callee) || Makes(callee));

    /// <summary>TorchSharp's own methods that make one, or call one that does.</summary>
    private static HashSet<MethodBase> MakersInTorchSharp()
    {
        var callers = Methods(typeof(Scalar).Assembly).Where(method => !Makes(method)).SelectMany(method => Callees(method).Select(callee => (Caller: method, Callee: callee))).ToLookup(call => call.Callee, call => call.Caller);
        var makers = callers.Where(group => Makes(group.Key)).SelectMany(group => group).ToHashSet();
        var open = new Queue<MethodBase>(makers);
        while (open.TryDequeue(out var maker)) foreach (var caller in callers[maker]) if (makers.Add(caller)) open.Enqueue(caller);
        return makers;
    }

    private static bool Makes(MethodBase method) => method is MethodInfo { ReturnType: var type } && type == typeof(Scalar) && (method.DeclaringType == typeof(Scalar) || method.Name == nameof(ScalarExtensionMethods.ToScalar));

    private static IEnumerable<MethodBase> Methods(Assembly assembly) => assembly.GetTypes().SelectMany(type => type.GetMethods(Everything).Concat<MethodBase>(type.GetConstructors(Everything)));

    private static IEnumerable<MethodBase> Callees(MethodBase method)
    {
        if (method.GetMethodBody()?.GetILAsByteArray() is not { } code) yield break;
        for (var i = 0; i < code.Length;)
        {
            var operation = OpCodesByValue[code[i] == 0xFE ? unchecked((short)(0xFE00 | code[i + 1])) : code[i]];
            i += operation.Size;
            if (operation.OperandType == OperandType.InlineMethod && Resolve(method, BitConverter.ToInt32(code, i)) is { } callee) yield return callee;
            i += operation.OperandType switch
            {
                OperandType.InlineNone => 0,
                OperandType.ShortInlineBrTarget or OperandType.ShortInlineI or OperandType.ShortInlineVar => 1,
                OperandType.InlineVar => 2,
                OperandType.InlineI8 or OperandType.InlineR => 8,
                OperandType.InlineSwitch => sizeof(int) * (1 + BitConverter.ToInt32(code, i)),
                _ => 4,
            };
        }
    }

    /// <summary>The method as it is declared, whatever it is called with.</summary>
    private static MethodBase? Resolve(MethodBase caller, int token)
    {
        var callee = caller.Module.ResolveMethod(token, caller.DeclaringType?.GetGenericArguments(), caller.IsGenericMethod ? caller.GetGenericArguments() : null);
        return callee is MethodInfo { IsGenericMethod: true } generic ? generic.GetGenericMethodDefinition() : callee;
    }
}
