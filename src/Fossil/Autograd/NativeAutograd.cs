using System.Runtime.InteropServices;
using Fossil.CompilerServices;

namespace Fossil.Autograd;

/// <summary>The functions of TorchSharp's native library that make a node of libtorch's graph. TorchSharp's custom functions are made of them.</summary>
internal static unsafe partial class NativeAutograd
{
    /// <summary>A node: a reference that keeps it alive, and one that does not.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct NodeHandle
    {
        public nint Shared;
        public nint Weak;
    }

    /// <summary>Handles of tensors.</summary>
    [StructLayout(LayoutKind.Sequential)]
    public struct HandleArray
    {
        public nint* Handles;
        public long Count;
    }

    /// <summary>The backward pass of a node: the gradients of its outputs to those of its inputs. 0 is no tensor.</summary>
    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    public delegate HandleArray ApplyFunction(nint* gradients, int count);

    /// <summary>What is done where a node dies.</summary>
    [UnmanagedFunctionPointer(CallingConvention.Cdecl)]
    public delegate void DeleteFunction();

    [LibraryImport(NativeTensor.Library)]
    public static partial NodeHandle THSAutograd_CSharpNode_ctor(nint apply, nint delete);

    [LibraryImport(NativeTensor.Library)]
    public static partial void THSAutograd_CSharpNode_disposeSharedPtr(NodeHandle node);

    [LibraryImport(NativeTensor.Library)]
    public static partial void THSAutograd_CSharpNode_disposeWeakPtr(NodeHandle node);

    [LibraryImport(NativeTensor.Library)]
    public static partial void THSAutograd_CSharpNode_setNextEdges(NodeHandle node, HandleArray inputs, [MarshalAs(UnmanagedType.U1)] bool isExecutable);

    [LibraryImport(NativeTensor.Library)]
    public static partial void THSAutograd_Function_wrapOutputs(HandleArray inputs, HandleArray nonDifferentiable, HandleArray dirty, HandleArray outputs, NodeHandle node, delegate* unmanaged[Cdecl]<nuint, nint*> allocate);

    [LibraryImport(NativeTensor.Library)]
    public static partial nint THSAutograd_SavedVariable_ctor(nint tensor, NodeHandle node, [MarshalAs(UnmanagedType.U1)] bool isInPlaceOnView);

    [LibraryImport(NativeTensor.Library)]
    public static partial void THSAutograd_SavedVariable_dispose(nint variable);

    [LibraryImport(NativeTensor.Library)]
    public static partial nint THSAutograd_SavedVariable_unpack(nint variable, NodeHandle node);
}
