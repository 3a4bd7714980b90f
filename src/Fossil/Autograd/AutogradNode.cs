using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using static Fossil.Autograd.NativeAutograd;
using static TorchSharp.torch;

namespace Fossil.Autograd;

/// <summary>
/// A node of libtorch's graph whose backward pass is an <see cref="AdapterCall"/>'s. TorchSharp's custom functions make two native callbacks, a dozen pinned arrays and a tensor of the output's size for each
/// node; here a node that died leaves its callbacks and its memory to a later one.
/// </summary>
internal sealed unsafe class AutogradNode
{
    private static readonly ConcurrentStack<AutogradNode> Free = [];

    // Native code calls these, which the garbage collector cannot see: so nodes live as long as the process.
    private static readonly ConcurrentBag<AutogradNode> All = [];

    private readonly ApplyFunction applyFunction;
    private readonly DeleteFunction deleteFunction;
    private readonly nint apply;
    private readonly nint delete;

    private readonly Lock gate = new();
    private NodeHandle handle;
    private AdapterCall? call;
    private nint[] saved = [];
    private nint* gradients;
    private int capacity;

    [ThreadStatic]
    private static nint* wrapped;

    [ThreadStatic]
    private static int wrappedCapacity;

    private AutogradNode()
    {
        (applyFunction, deleteFunction) = (Apply, Delete);
        All.Add(this);
        (apply, delete) = (Marshal.GetFunctionPointerForDelegate(applyFunction), Marshal.GetFunctionPointerForDelegate(deleteFunction));
    }

    /// <summary>The outputs of <paramref name="call"/>, connected to the graph behind its inputs that need a gradient; the node keeps what the call saved.</summary>
    /// <param name="call">The call, after its forward pass.</param>
    /// <param name="outputs">What that gave; no views.</param>
    public static Tensor[] Connect(AdapterCall call, Tensor[] outputs)
    {
        var node = Free.TryPop(out var free) ? free : new();
        node.handle = THSAutograd_CSharpNode_ctor(node.apply, node.delete);
        CheckForErrors();
        node.call = call;
        try
        {
            return node.Connect(outputs);
        }
        finally
        {
            // The graph keeps it now; where that failed, it dies.
            THSAutograd_CSharpNode_disposeSharedPtr(node.handle);
            GC.KeepAlive(outputs);
        }
    }

    private Tensor[] Connect(Tensor[] outputs)
    {
        var inputs = call!.Inputs;
        var edges = stackalloc nint[inputs.Count];
        var ends = stackalloc nint[outputs.Length];
        var count = 0;
        foreach (var input in inputs)
        {
            if (input.NeedsGradient) edges[count++] = input.Value.Handle;
        }

        for (var i = 0; i < outputs.Length; i++) ends[i] = outputs[i].Handle;
        Reserve(count);
        var sources = new HandleArray { Handles = edges, Count = count };
        THSAutograd_CSharpNode_setNextEdges(handle, sources, isExecutable: true);
        CheckForErrors();
        THSAutograd_Function_wrapOutputs(sources, default, default, new HandleArray { Handles = ends, Count = outputs.Length }, handle, &Allocate);
        CheckForErrors();
        var results = new Tensor[outputs.Length];
        for (var i = 0; i < results.Length; i++) results[i] = Tensor.UnsafeCreateTensor(wrapped[i]);
        Save();
        return results;
    }

    private void Save()
    {
        saved = new nint[call!.Saved.Count];
        for (var i = 0; i < saved.Length; i++)
        {
            if (call.Saved[i].Optional is not { } tensor) continue;
            saved[i] = THSAutograd_SavedVariable_ctor(tensor.Handle, handle, isInPlaceOnView: false);
            CheckForErrors();
        }
    }

    /// <summary>What was saved, as it was then.</summary>
    /// <exception cref="ExternalException">A tensor was modified in place since.</exception>
    private Tensor?[] Unpack()
    {
        var tensors = new Tensor?[saved.Length];
        for (var i = 0; i < tensors.Length; i++)
        {
            if (saved[i] == 0) continue;
            var tensor = THSAutograd_SavedVariable_unpack(saved[i], handle);
            CheckForErrors();
            tensors[i] = Tensor.UnsafeCreateTensor(tensor);
        }

        return tensors;
    }

    private HandleArray Apply(nint* outputGradients, int outputs)
    {
        // Two backward passes through a graph that is retained.
        lock (gate)
        {
            var count = AdapterFunction.Backward(call!, new ReadOnlySpan<nint>(outputGradients, outputs), Unpack, new Span<nint>(gradients, capacity));
            return new HandleArray { Handles = gradients, Count = count };
        }
    }

    /// <summary>The last reference to the node is gone.</summary>
    private void Delete()
    {
        foreach (var variable in saved)
        {
            if (variable != 0) THSAutograd_SavedVariable_dispose(variable);
        }

        THSAutograd_CSharpNode_disposeWeakPtr(handle);
        (handle, call, saved) = (default, null, []);
        Free.Push(this);
    }

    private void Reserve(int count)
    {
        if (count <= capacity) return;
        gradients = (nint*)NativeMemory.Realloc(gradients, (nuint)count * (nuint)sizeof(nint));
        capacity = count;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    private static nint* Allocate(nuint count)
    {
        if ((int)count <= wrappedCapacity) return wrapped;
        wrapped = (nint*)NativeMemory.Realloc(wrapped, count * (nuint)sizeof(nint));
        wrappedCapacity = (int)count;
        return wrapped;
    }
}
